"""What is computed, as people write it and read it; nothing here is sent.

expressions   formulas over matrices of secret and public numbers, as circuits
program_file  a job's program in TOML
wording       a circuit in words: what its outputs are, and of whose numbers
mixing        whose numbers hide whose in an output
"""
