"""Fine-tuning and evaluation on GLUE, SQuAD, RACE and tasks of the user's own."""
