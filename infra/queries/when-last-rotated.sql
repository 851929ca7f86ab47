-- When was each secret last rotated?
SELECT secret,
       max_by(owner, seq) AS owner,
       max_by(time, seq) AS last_rotated
FROM audit
WHERE environment = '{environment}'
  AND outcome = 'rotated'
GROUP BY secret
ORDER BY last_rotated;
