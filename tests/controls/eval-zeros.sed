# file: inspect/evaluation.c
# test: inspect/test_evaluation zeros_are_those_of_each_context
# Logits of zeros are those of another context only where they are the same.
s/== 0 \? SAME : DIFFERENT/== 0 ? SAME : SAME/
