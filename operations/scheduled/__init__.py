"""What is due later, or is being sent to many: reminders and campaigns."""
