"""The demo: a year of real flights goes round the loop, and a report says what came of it."""
