"""Paillier over shares: a linear model answers rows that stay encrypted throughout.

The client encrypts its rows under a key of its own. Each server holds one share of the
model's words; it multiplies the ciphertexts by them, adds a mask, and the client opens
both servers' answers to two words that add up to the logit, mod 2**64.

    paillier    the scheme itself, in four formulas
    gmp         integers of thousands of bits; the extra `paillier` brings them
    draws       uniform integers from a seed
    keys        the client's key pair
    key_proof   why a server may believe that a key is one
    queries     what a client sends, and how it reads what comes back
    answers     what a server makes of it

    encrypt  client      rows                     -> key, proof, ciphertexts
    answer   each server ciphertexts, its share   -> ciphertexts
    decrypt  client      both answers             -> one word of each server a logit

Guarantee for the client: its rows are hidden from both servers, even together, under
the decisional composite residuosity assumption [Paillier99]. There is no other.

Guarantee for the model: an answer is a fresh, uniform encryption of a plaintext, and
that plaintext hides all of one server's sum but a word mod 2**64, which is masked by
the zero sharing. So whatever a client sends, it learns at most one word for each logit
that it may ask for; with honest rows that word is the logit. Assumption: one of the two
servers is honest.

[Paillier99] Public-key cryptosystems based on composite degree residuosity classes,
Eurocrypt 1999.
"""
