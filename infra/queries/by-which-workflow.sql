-- By which workflow was each secret last rotated, under which contract?
SELECT secret,
       max_by(time, seq) AS last_rotated,
       max_by(execution_arn, seq) AS execution_arn,
       max_by(run_id, seq) AS run_id,
       max_by(contract_commit, seq) AS contract_commit,
       max_by(contract_digest, seq) AS contract_digest
FROM audit
WHERE environment = '{environment}'
  AND outcome = 'rotated'
GROUP BY secret
ORDER BY secret;
