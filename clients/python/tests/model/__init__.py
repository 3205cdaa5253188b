"""The state machines tested as a model: a small program that says what the server must do, and random calls to both."""
