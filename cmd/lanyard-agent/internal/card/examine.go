package card

import "context"

// Seen is a reader as it stands, with what is in it.
type Seen struct {
	Reader  string
	Card    bool  // there is one in it
	About   About // what the card shows to everybody, if there is no Problem
	Problem error // why it cannot be read
}

// Examine looks once at every reader of this computer. It tries no passcode.
func Examine(ctx context.Context) ([]Seen, error) {
	s, err := system()
	if err != nil {
		return nil, err
	}
	return examine(ctx, s)
}

func examine(ctx context.Context, s service) ([]Seen, error) {
	now, err := s.Readers(ctx, nil)
	if err != nil {
		return nil, err
	}
	all := make([]Seen, len(now))
	for i, at := range now {
		all[i] = Seen{Reader: at.name, Card: at.present}
		if !at.present {
			continue
		}
		c, err := open(ctx, s, at)
		if err != nil {
			all[i].Problem = err
			continue
		}
		all[i].About = c.about
		_ = c.Close() // nothing was asked of it but what it shows to everybody
	}
	return all, nil
}
