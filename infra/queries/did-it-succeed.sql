-- Did the last run of each secret succeed? Requests that were skipped or joined another run are no runs.
SELECT secret,
       max_by(time, seq) AS closed,
       max_by(outcome, seq) AS outcome,
       max_by(reason_code, seq) AS reason_code,
       max_by(reason, seq) AS reason,
       max_by(version_from, seq) AS version_from,
       max_by(version_to, seq) AS version_to
FROM audit
WHERE environment = '{environment}'
  AND outcome IN ('rotated', 'failed_clean', 'failed_dirty')
GROUP BY secret
ORDER BY secret;
