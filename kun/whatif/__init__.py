"""Other parameters, answered from what the stages have stored; nothing is written."""
