"""bylaw: a web application's security policy, enforced, proven and printed."""
