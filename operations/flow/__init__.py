"""What flows to the functions: queues, schedules and subscriptions."""
