"""Two servers compute on numbers that neither of them sees.

    ring          numbers as words mod 2**64, in fixed point
    sharing       two words that add up to one: an owner's input, and who expands it
    matmul        exact matrix products of words
    program       what is computed: circuits, linear models
    plan          what follows from a program: shapes, ranges, bytes, who is in what
    evaluate      one server's part of it
    zero_sharing  what makes both parts of a result fresh

    share     input owner  numbers            -> a seed for one server, a vector for one
    evaluate  aggregator   shares of inputs   -> shares of the outputs
    open      receiver     both servers' words -> numbers

Everything is linear in what is secret, so the servers need not talk while they compute.

Guarantee: what one server holds (a seed or a vector of each secret input) is
independent of the numbers, and the receiver learns from both servers' words what their
sums tell, and nothing else.
Assumption: one of the two servers is honest, and none tells the other or the receiver
what it holds. A dishonest server can change results, unnoticed.
"""
