package registry

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// showPolicy shows the rules on cards and agents.
func (a *API) showPolicy(c *call) (any, error) {
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{Policy: true})
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	var v policy
	if r.Policy == nil {
		return v, nil
	}
	for _, s := range r.Policy.CardSeries {
		v.CardSeries = append(v.CardSeries, seriesRule(s))
	}
	for _, s := range r.Policy.Agents {
		v.Agents = append(v.Agents, agentRule(s))
	}
	v.WarnDays = r.Policy.WarnDays
	return v, nil
}

// applications shows what is registered.
func (a *API) applications(c *call) (any, error) {
	all, err := a.Clients(c.r.Context())
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	var shown page[application]
	for _, k := range all {
		shown.Items = append(shown.Items, application{ID: k.ID, Name: k.Name, AuthMethod: k.AuthMethod, Scopes: k.Scopes, MinLevel: int(k.MinLevel)})
	}
	return shown, nil
}

// client is what is registered of the application of the path.
func (a *API) client(c *call) (registry.Client, error) {
	id := c.at("id")
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{Clients: []string{id}})
	if err != nil {
		return registry.Client{}, fmt.Errorf("client %s: %w", clip(id), err)
	}
	if k := r.Clients[id]; k != nil {
		return registry.Client(*k), nil
	}
	return registry.Client{}, registry.ErrNoClient
}

func (a *API) showClient(c *call) (any, error) {
	k, err := a.client(c)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// wasClient is the change of an application that changes nothing. The id in the
// body, where there is one, is that of the path.
func (a *API) wasClient(c *call) (registry.ChangeClient, string, error) {
	var says struct {
		Client struct {
			ID *string `json:"id"`
		} `json:"client"`
	}
	if err := json.Unmarshal(c.text, &says); err != nil || says.Client.ID != nil && *says.Client.ID != c.at("id") {
		return registry.ChangeClient{}, "", fields{{Name: "client.id", Problem: registry.Form}}.err()
	}
	k, err := a.client(c)
	return registry.ChangeClient{Client: k}, "", err
}

// plan says what a document would change.
func (a *API) plan(c *call) (any, error) {
	var change registry.ApplyDocument
	if err := json.Unmarshal(c.text, &change); err != nil {
		return nil, unread(err)
	}
	preview, err := a.Service.Check(c.r.Context(), c.actor, change)
	if err != nil {
		return nil, err
	}
	return preview, nil
}

// export shows the whole directory to whoever might replace it.
func (a *API) export(c *call) (any, error) {
	if err := a.Service.AdmitToAll(c.actor); err != nil {
		return nil, err
	}
	doc, err := a.Directory(c.r.Context())
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	var text bytes.Buffer
	if err := directory.Write(&text, doc); err != nil {
		return nil, fmt.Errorf("write directory: %w", err)
	}
	if c.wants() != "application/yaml" {
		return written{text.String()}, nil
	}
	c.w.Header().Set("Content-Type", "application/yaml")
	_, _ = c.w.Write(text.Bytes()) // who hung up hears nothing
	return nil, nil                //nolint:nilnil // nil is "it was answered"
}
