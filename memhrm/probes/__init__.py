"""Looking inside a trained model: what it answers, how its state moves, what its memory does.

Functions take a `Subject` or a `Rollout` and return plain arrays and numbers. They see what anyone sees who
calls the model: its state between supervision steps, its output and the trace of its H-steps.
"""
