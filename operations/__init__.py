"""What an operator asks and puts right: the same commands for a real project and the local cloud.

`./deploy.sh show ID`, `dead-letters`, `reminders`, `campaigns`, `erase` and `doctor` run from here,
on the operator's own machine and with the operator's own credentials.
"""
