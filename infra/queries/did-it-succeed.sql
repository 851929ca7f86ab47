-- Did the last run of each secret succeed?
SELECT secret,
       max(time) AS closed,
       max_by(outcome, time) AS outcome,
       max_by(reason_code, time) AS reason_code,
       max_by(reason, time) AS reason,
       max_by(version_from, time) AS version_from,
       max_by(version_to, time) AS version_to
FROM audit
WHERE environment = '{environment}'
  AND outcome IN ('rotated', 'skipped', 'failed_clean', 'failed_dirty')
GROUP BY secret
ORDER BY secret;
