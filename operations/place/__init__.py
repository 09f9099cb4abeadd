"""Where an operator works, and as whom: an environment, gcloud, the local cloud."""
