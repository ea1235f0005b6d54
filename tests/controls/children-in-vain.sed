# file: cli/children.c
# test: cli/test_children without_an_answer_nobody_is_given_up
# While the broker does not answer, nobody is given up.
s/progress->answers > child->at_first\.answers/1/
