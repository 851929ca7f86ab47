package trigger

// BreakGlass is the name of the role with which people read values in an emergency.
const BreakGlass = "mayfly-break-glass"

// severityOfBreakGlass is the top of High. A person has seen the value, so it is to be replaced; nobody says that it is in
// wrong hands, so the services that use it are not to be disturbed: what contains begins at Critical.
const severityOfBreakGlass = 8.9

// readings are the calls that give values away. BatchGetSecretValue is not among them: each value that it gives away has an
// entry GetSecretValue of its own.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
func readings() map[string]map[string]effect {
	return map[string]map[string]effect{"secretsmanager.amazonaws.com": {"GetSecretValue": glassBroken}}
}

// glassBroken is a value that was read with the role for emergencies. Other reads are of no concern.
func glassBroken(c call, t Trigger) (Resolution, error) {
	if !c.Caller.brokeGlass() {
		return ignore(Trigger{ID: t.ID, Source: t.Source, Actor: t.Actor}, clip(c.Name, 64)+" only reads"), nil
	}
	t.Type, t.Severity, t.Reason = Incident, severityOfBreakGlass, "break-glass: the value was read by "+t.Actor
	return naming(t, c.secret(), "a secret that a contract could name")
}

func (c caller) brokeGlass() bool {
	return c.Session.Issuer.Type == "Role" && c.Session.Issuer.UserName == BreakGlass
}
