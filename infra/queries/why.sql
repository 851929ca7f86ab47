-- Why was each secret last rotated?
SELECT secret,
       max(time) AS last_rotated,
       max_by(trigger_type, time) AS trigger_type,
       max_by(trigger_source, time) AS trigger_source,
       max_by(trigger_id, time) AS trigger_id,
       max_by(actor, time) AS actor,
       max_by(reason, time) AS reason
FROM audit
WHERE environment = '{environment}'
  AND outcome = 'rotated'
GROUP BY secret
ORDER BY secret;
