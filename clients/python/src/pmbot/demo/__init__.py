"""The demonstration behind `pmbot demo`: a real graph that proposes a real change to a git repository.

It needs git and a running server, and neither a model nor a network. The repository that it looks at is only read: what
is written goes to a clone below the user's cache directory.
"""

GRAPH_ID = "repo_change_proposer/v1"
"""The graph that the demo's runs name."""
