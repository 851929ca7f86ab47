-- Why was each secret last rotated?
SELECT secret,
       max_by(time, seq) AS last_rotated,
       max_by(trigger_type, seq) AS trigger_type,
       max_by(trigger_source, seq) AS trigger_source,
       max_by(trigger_id, seq) AS trigger_id,
       max_by(actor, seq) AS actor,
       max_by(reason, seq) AS reason
FROM audit
WHERE environment = '{environment}'
  AND outcome = 'rotated'
GROUP BY secret
ORDER BY secret;
