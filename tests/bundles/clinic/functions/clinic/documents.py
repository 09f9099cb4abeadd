"""The documents of the clinic that have an id which somebody may ask for."""

from common.process.tables import table
from functions.clinic.appointments import APPOINTMENT
from functions.clinic.checkups import PATIENT

DOCUMENTS = table(APPOINTMENT, PATIENT)
