"""The run loop: rounds in attempts, whatever is asked in them and by whatever means.

    participants  the port: who is connected, what is asked of whom, what they answer
    plan          what stays the same over a run;  outcome: how an attempt ended
    cohort        who is asked in a round;  absences: who is missing, and why
    loop          a round in attempts: propose, ask, end, pause, take up, fail
    asking        hand out the task, believe who has both receipts
    ending        fix the set and open it, or void the round
    accountant    what is asked before a spec is signed, and told how the round ended
    budget        the accountant of studies with noise: the round store's own record
    pauses        how long a run waits;  recovery: it goes on after what passes
    resume        what a run did before it was interrupted
    soundness     whether the newest model can be measured

A job (`owner.jobs`) says what is asked in which round. Nothing here knows Flower, Keras
or any other framework.
"""
