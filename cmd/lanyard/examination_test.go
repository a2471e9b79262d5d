package main

import "testing"

func TestNote(t *testing.T) {
	t.Run("own rule: what a provider answers moves no terminal", func(t *testing.T) {
		var e examination
		e.note(fail, "token", "invalid_client: \x1b[2Jgone\r\n\u202eback", "ask whoever runs it")
		if f := e.findings[0]; f.Says != "invalid_client: [2Jgoneback" || f.Do != "ask whoever runs it" {
			t.Errorf("%+v", f)
		}
	})
}
