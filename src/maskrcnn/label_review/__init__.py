"""Labels to look at: a page of what a data set holds, what is wrong with it, and what a model disagrees with."""
