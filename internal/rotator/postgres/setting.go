package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mayfly-secrets/mayfly/internal/fault"
)

// settingsOf are a role's settings, for every database and for this one.
const settingsOf = `SELECT s.setdatabase <> 0, c FROM pg_catalog.pg_db_role_setting s
	JOIN pg_catalog.pg_roles r ON r.oid = s.setrole CROSS JOIN LATERAL unnest(s.setconfig) AS c
	WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) AND r.rolname = `

// copySettings gives a login the settings that the owner has and it has not (search_path, say): SET role does not apply
// them. Each is made current in this transaction and stored from there, because the stored text of a list is not what
// ALTER ROLE … SET would take. It comes last in the transaction, for the settings then hold in it.
func (t *transaction) copySettings(ctx context.Context, owner, login string) error {
	rows, err := t.tx.Query(ctx, settingsOf+"$1 EXCEPT "+settingsOf+"$2", owner, login)
	if err != nil {
		return t.session.fault(err, "read the settings of "+owner)
	}
	type setting struct {
		here bool // for this database only
		text string
	}
	settings, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s setting, err error) {
		return s, row.Scan(&s.here, &s.text)
	})
	if err != nil {
		return t.session.fault(err, "read the settings of "+owner)
	}
	for _, s := range settings {
		parameter, value, _ := strings.Cut(s.text, "=")
		if strings.EqualFold(parameter, "role") {
			continue
		}
		where := ""
		if s.here {
			where = " IN DATABASE " + name(t.c.Target.Database)
		}
		_, err := t.tx.Exec(ctx, "SELECT pg_catalog.set_config($1, $2, true)", parameter, value)
		if err == nil {
			_, err = t.tx.Exec(ctx, "ALTER ROLE "+name(login)+where+" SET "+name(strings.Split(parameter, ".")...)+" FROM CURRENT")
		}
		if err != nil {
			return fault.Wrap(t.session.fault(err, "copy the setting "+parameter), fault.TargetRefused,
				"the login %s needs the setting %s of %s: ALTER ROLE %s SET it by hand, or GRANT SET ON PARAMETER to the admin", login, parameter, owner, login)
		}
	}
	return nil
}
