package ra

import (
	"net/url"
	"strings"
)

// roles are those that are offered while somebody types a role's code, with the
// names that go with them; any other may be typed. They are those of the national
// tables that are known outside, and of the demo directory.
var roles = [][2]string{
	{"S8000:G8000:R8000", `"Clinical":"Clinical Provision":"Clinical Practitioner Access Role"`},
	{"S8000:G8000:R8001", `"Clinical":"Clinical Provision":"Nurse Access Role"`},
	{"S8000:G8000:R8003", `"Clinical":"Clinical Provision":"Health Professional Access Role"`},
	{"S8000:G8000:R8004", `"Clinical":"Clinical Provision":"Healthcare Student Access Role"`},
	{"S0010:G0020:R0260", `"Medical and Dental":"General Practice":"General Medical Practitioner"`},
	{"S8001:G8002:R8006", `"Admin & Clerical":"Admin & Clerical":"Medical Secretary Access Role"`},
	{"S8001:G8002:R8008", `"Admin & Clerical":"Admin & Clerical":"Admin/Clinical Support Access Role"`},
	{"S8001:G8005:R8015", `"Admin & Clerical":"Technical":"Systems Support Access Role"`},
	{"S0080:G0450:R0001", `"Admin & Clerical":"Management - A & C":"Privacy Officer"`},
	{"S0080:G0450:R5080", `"Admin & Clerical":"Management - A & C":"Registration Authority Manager"`},
	{"S0080:G0450:R5090", `"Admin & Clerical":"Management - A & C":"Registration Authority Agent"`},
}

// named gives a role the name of its code, where none was typed.
func named(values url.Values) {
	for _, role := range roles {
		if values.Get("role_code") == role[0] && strings.TrimSpace(values.Get("role_name")) == "" {
			values.Set("role_name", role[1])
		}
	}
}

// told leaves of the role whom a notice is for its last code, by which people
// are chosen: what is offered while somebody types has three.
func told(values url.Values) {
	if role := values.Get("role"); role != "" {
		values.Set("role", strings.TrimSpace(role[strings.LastIndex(role, ":")+1:]))
	}
}

// activities are those of the national tables that are known outside, by their
// codes: who types one of these need not type its name.
var activities = map[string]string{
	"B0062": "Local System Administration",
	"B0267": "RA ID Checker",
	"B0360": "View Detailed Health Records",
	"B0420": "Independent Prescribing",
	"B0428": "Personal Medication Administration",
	"B1300": "Sponsor",
	"B1611": "Access Sensitive Flagged Records",
}
