"""The official files of the tasks by which encoders are judged (GLUE, SQuAD, RACE), and tasks of
the user's own, as lists of examples."""
