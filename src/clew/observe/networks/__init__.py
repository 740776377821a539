"""Networks that can be observed: one file each; files that begin with an underscore are parts of one."""
