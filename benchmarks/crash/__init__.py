"""What a killed process loses, and what it does twice: everybody's saver under the same test.

A graph of 200 steps has one effect per step, written to a ledger that is on the disk before the step goes on. The
process is killed (SIGKILL) at random moments, started again, and goes on from what its saver kept, until so many kills
have been made. A step is acknowledged when the caller's loop over the stream has been handed it.
"""
