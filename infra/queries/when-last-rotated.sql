-- When was each secret last rotated?
SELECT secret, owner, max(time) AS last_rotated
FROM audit
WHERE environment = '{environment}'
  AND outcome = 'rotated'
GROUP BY secret, owner
ORDER BY last_rotated;
