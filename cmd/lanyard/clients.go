package main

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// judgeClient says why an application that is registered so puts people at
// risk, whoever registered it.
func judgeClient(c idp.Client, no *refusals) {
	key := fmt.Sprintf("client %.60q", c.ID)
	if slices.ContainsFunc(guessed, c.CheckSecret) {
		no.add(key, "its secret is one that everybody tries first", "give it a random one")
	}
	for _, uri := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
		if !idp.CheckRedirectURI(uri) {
			no.add(key, fmt.Sprintf("the redirect %.100q is a pattern, or http to another computer", uri), "register each https address to the letter")
		}
	}
	if c.BackchannelLogoutURI != "" && !idp.CheckRedirectURI(c.BackchannelLogoutURI) {
		no.add(key, fmt.Sprintf("its back-channel logout address %.100q is http to another computer", c.BackchannelLogoutURI), "register an https address")
	}
	if c.AuthMethod == idp.PrivateKeyJWT && len(c.JWKS) > 0 {
		judgeKeys(key, c.JWKS, no)
	}
}

func judgeKeys(key string, set []byte, no *refusals) {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(set, &keys); err != nil {
		no.add(key, "its keys cannot be read", "register its JWKS again")
		return
	}
	for _, k := range keys.Keys {
		public, ok := k.Key.(*rsa.PublicKey)
		if ok && public.N.BitLen() < 2048 {
			no.add(key, fmt.Sprintf("its RSA key %.60q has %d bits", k.KeyID, public.N.BitLen()), "register one of 2048 or more")
		}
		if !k.IsPublic() {
			no.add(key, fmt.Sprintf("its key %.60q is a private one", k.KeyID), "register the public half alone, and make another: this one is known")
		}
	}
}
