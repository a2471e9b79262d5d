package prompt

import "fmt"

// Words are the labels of windows, and what the agent says by itself because no
// service can: that none answers, and that there are no readers. Those with %
// are formats.
type Words struct {
	Title      string
	SignIn     string // %s the service, %s the application
	SignInHere string // %s the service, where it names no application
	Number     string // %s the number on the page
	Stranger   string // what to do if the page shows another number
	Holder     string // %s the name on the card
	Passcode   string
	TriesLeft  string // %d
	Until      string // %s the time of day
	TimeLeft   string // %s minutes and seconds

	OK, Cancel, Close string

	LastTry    string // before the one that can lock the card
	UseLastTry string
	Several    string // cards are there
	CardOf     string // %d of %d, %s the holder
	UseCard    string
	NextCard   string
	Pick       string // asks for the number of a line, at a terminal
	Empty      string // at a terminal: an empty line turns away

	Entered string // %s what, %s whose: somebody was signed in without being asked for anything

	Unreachable string // no answer from the service
	Gone        string // the link was used or is too old
	Stranded    string // the link is of a service that this computer does not know
	Over        string // the sign-in has ended at the page
	NoReaders   string // there is no service for card readers
	Alone       string // the browser did not come back
	Failed      string // anything else
}

// In returns the words in a language, and in English where it is not known.
func In(language string) Words {
	if w, ok := words[language]; ok {
		return w
	}
	return words["en"]
}

// Asks says who asks for what.
func (w Words) Asks(q Question) string {
	if q.Application == "" {
		return fmt.Sprintf(w.SignInHere, q.Service)
	}
	return fmt.Sprintf(w.SignIn, q.Service, q.Application)
}

var words = map[string]Words{
	"en": {
		Title:      "Lanyard",
		SignIn:     "%s asks you to sign in to %s.",
		SignInHere: "%s asks you to sign in.",
		Number:     "Check that the sign-in page shows this number: %s",
		Stranger:   "If it shows another number, choose Cancel.",
		Holder:     "Card of %s",
		Passcode:   "Passcode",
		TriesLeft:  "Tries left: %d",
		Until:      "You have until %s.",
		TimeLeft:   "Time left: %s",

		OK: "OK", Cancel: "Cancel", Close: "Close",

		LastTry:    "One try left. If it is wrong the card locks.",
		UseLastTry: "Use the last try",
		Several:    "More than one card is inserted. Choose which to use.",
		CardOf:     "Card %d of %d: %s",
		UseCard:    "Use this card",
		NextCard:   "Show the next card",
		Pick:       "Number",
		Empty:      "empty to stop",

		Entered: "Signed in to %s as %s. You were not asked for your passcode: this card signed in at this desk before. If you did not want this, take the card out.",

		Unreachable: "The sign-in service does not answer. Check that this computer is connected to the network, then start again from the sign-in page.",
		Gone:        "This sign-in was started already, or was left too long. Start again from the sign-in page.",
		Stranded:    "This computer is not set up for that sign-in page. Do not type your passcode. Tell your IT support.",
		Over:        "This sign-in has ended. Start again from the sign-in page.",
		NoReaders:   "This computer cannot use card readers. Tell your IT support that its smartcard service is missing.",
		Alone:       "Your browser did not come back to finish signing in. Start again from the sign-in page.",
		Failed:      "Something went wrong with the card reader program. Start again from the sign-in page.",
	},
	"cy": {
		Title:      "Lanyard",
		SignIn:     "Mae %s yn gofyn i chi fewngofnodi i %s.",
		SignInHere: "Mae %s yn gofyn i chi fewngofnodi.",
		Number:     "Gwiriwch fod y dudalen fewngofnodi yn dangos y rhif hwn: %s",
		Stranger:   "Os yw'n dangos rhif arall, dewiswch Canslo.",
		Holder:     "Cerdyn %s",
		Passcode:   "Cod pas",
		TriesLeft:  "Nifer yr ymgeisiau ar ôl: %d",
		Until:      "Mae gennych tan %s.",
		TimeLeft:   "Amser ar ôl: %s",

		OK: "Iawn", Cancel: "Canslo", Close: "Cau",

		LastTry:    "Un ymgais sydd ar ôl. Os bydd yn anghywir, bydd y cerdyn yn cloi.",
		UseLastTry: "Defnyddio'r ymgais olaf",
		Several:    "Mae mwy nag un cerdyn wedi'i fewnosod. Dewiswch pa un i'w ddefnyddio.",
		CardOf:     "Cerdyn %d o %d: %s",
		UseCard:    "Defnyddio'r cerdyn hwn",
		NextCard:   "Dangos y cerdyn nesaf",
		Pick:       "Rhif",
		Empty:      "gwag i stopio",

		Entered: "Wedi mewngofnodi i %s fel %s. Ni ofynnwyd am eich cod pas: mae'r cerdyn hwn wedi mewngofnodi wrth y ddesg hon o'r blaen. Os nad oeddech chi eisiau hyn, tynnwch y cerdyn allan.",

		Unreachable: "Nid yw'r gwasanaeth mewngofnodi yn ateb. Gwiriwch fod y cyfrifiadur hwn wedi'i gysylltu â'r rhwydwaith, yna dechreuwch eto o'r dudalen fewngofnodi.",
		Gone:        "Mae'r mewngofnodi hwn wedi'i ddechrau'n barod, neu wedi'i adael yn rhy hir. Dechreuwch eto o'r dudalen fewngofnodi.",
		Stranded:    "Nid yw'r cyfrifiadur hwn wedi'i osod ar gyfer y dudalen fewngofnodi honno. Peidiwch â theipio'ch cod pas. Dywedwch wrth eich cymorth TG.",
		Over:        "Mae'r mewngofnodi hwn wedi dod i ben. Dechreuwch eto o'r dudalen fewngofnodi.",
		NoReaders:   "Ni all y cyfrifiadur hwn ddefnyddio darllenwyr cardiau. Dywedwch wrth eich cymorth TG fod ei wasanaeth cardiau clyfar ar goll.",
		Alone:       "Ni ddaeth eich porwr yn ôl i orffen mewngofnodi. Dechreuwch eto o'r dudalen fewngofnodi.",
		Failed:      "Aeth rhywbeth o'i le gyda'r rhaglen darllen cardiau. Dechreuwch eto o'r dudalen fewngofnodi.",
	},
}
