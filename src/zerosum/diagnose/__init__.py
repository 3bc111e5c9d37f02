"""What is wrong with a training, in words: signals, rules over their history, and remedies."""
