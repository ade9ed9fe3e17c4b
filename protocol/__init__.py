"""What two organisations must agree on: names, messages, envelopes, invitations and the transaction table.

Pure: no input or output, no clock, no randomness beyond what a signature needs. Never imports `agents`.
"""
