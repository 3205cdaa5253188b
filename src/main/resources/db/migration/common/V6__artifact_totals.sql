-- How many artifacts there are and how large they are together, kept in the transaction that adds one: counting them would
-- cost more with each.

CREATE TABLE artifact_totals (
  singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
  artifacts ${long} NOT NULL,
  size_bytes ${long} NOT NULL
) ${strict};

INSERT INTO artifact_totals (singleton, artifacts, size_bytes)
SELECT 1, count(*), coalesce(sum(size_bytes), 0) FROM artifacts;
