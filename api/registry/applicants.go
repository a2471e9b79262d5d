package registry

import (
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// applicant is somebody who was invited to apply for a care identity.
type applicant struct {
	ID        string                  `json:"id"`
	State     registry.ApplicantState `json:"state"`
	Email     string                  `json:"email"`
	At        string                  `json:"organisation"`
	InvitedBy string                  `json:"invited_by"`
	InvitedAt time.Time               `json:"invited_at"`
	Until     time.Time               `json:"until"`

	Name      registry.PersonName `json:"name,omitzero"` // of who has applied and is not decided on, like the next two
	Born      idp.Date            `json:"born,omitempty"`
	Mobile    string              `json:"mobile,omitempty"`
	AppliedAt time.Time           `json:"applied_at,omitzero"`

	UID       string    `json:"uid,omitempty"` // who they became
	DecidedBy string    `json:"decided_by,omitempty"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
}

func applicantOf(a registry.Applicant) applicant {
	return applicant{ID: a.ID, State: a.State, Email: a.Email, At: a.At, InvitedBy: a.By, InvitedAt: a.InvitedAt, Until: a.Until,
		Name: a.Said.Name, Born: a.Said.Born, Mobile: a.Said.Mobile, AppliedAt: a.AppliedAt, UID: a.UID, DecidedBy: a.DecidedBy, DecidedAt: a.DecidedAt}
}

// applicants lists those who are not decided on.
func (a *API) applicants(c *call) (any, error) {
	q, err := c.listing()
	if err != nil {
		return nil, err
	}
	all, next, err := a.Service.Finder.Applicants(c.r.Context(), q, a.Now())
	if err != nil {
		return nil, fmt.Errorf("applicants: %w", err)
	}
	shown := page[applicant]{Next: next}
	for _, one := range all {
		shown.Items = append(shown.Items, applicantOf(one))
	}
	return shown, nil
}

// oneApplicant shows an applicant, whatever became of them.
func (a *API) oneApplicant(c *call) (any, error) {
	id := c.at("applicant")
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{Applicants: []string{id}})
	if err != nil {
		return nil, fmt.Errorf("applicant %s: %w", clip(id), err)
	}
	if r.Applicants[id] == nil {
		return nil, registry.ErrNoApplicant
	}
	return applicantOf(*r.Applicants[id]), nil
}
