package main

// windowProgram says that the passcode window is no program of its own.
func windowProgram() (path, why string) { return "", "" }
