"""Arithmetic made fast: it knows no detection term, and each fast way stands beside a plain one."""
