"""A local Pub/Sub that is going to be killed: `python pubsub_process.py STATE`."""

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from tests.local.services.pubsub.pubsub_cloud import Local

local = Local(Path(sys.argv[1]))
local.topic()
subscription = local.subscription()
local.publish(*(b"%d" % number for number in range(100)))
local.pull(subscription, 50)
print("accepted", flush=True)
threading.Event().wait(30)
