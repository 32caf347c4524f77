"""What a round of statistics told, for people and for other programs.

told     what was told, and by which round
wording  numbers with what noise may have moved them by
table    tables for a terminal
page     one HTML page, a picture for each column
files    all of it in one folder
"""
