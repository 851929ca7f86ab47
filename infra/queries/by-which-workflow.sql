-- By which workflow was each secret last rotated, under which contract?
SELECT secret,
       max(time) AS last_rotated,
       max_by(execution_arn, time) AS execution_arn,
       max_by(run_id, time) AS run_id,
       max_by(contract_commit, time) AS contract_commit,
       max_by(contract_digest, time) AS contract_digest
FROM audit
WHERE environment = '{environment}'
  AND outcome = 'rotated'
GROUP BY secret
ORDER BY secret;
