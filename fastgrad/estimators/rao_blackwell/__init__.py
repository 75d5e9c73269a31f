"""Estimators that sum over outcomes, some or all, rather than sample them one by one."""
