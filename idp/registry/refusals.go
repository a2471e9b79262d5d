package registry

import (
	"errors"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
)

// Why a change is refused, whatever face asked for it.
const (
	// Of the actor, as they are signed in.
	ErrNotActive   idp.Refusal = "who asks has no verified profile, or is a robot"
	ErrNoAuthority idp.Refusal = "who asks holds no position that allows such a change there"
	ErrSelf        idp.Refusal = "nobody acts on themself, or on a robot that they answer for"
	ErrAbove       idp.Refusal = "access for somebody who holds an authority is given by a manager of that organisation"

	// Of what is asked for.
	ErrField     idp.Refusal = "something that was given is not as it should be" // which, is in Refused.Fields
	ErrConfirm   idp.Refusal = "this needs to be confirmed"                      // why, is in Refused.Warnings
	ErrNoReason  idp.Refusal = "a reason is needed"
	ErrUnchecked idp.Refusal = "a check of the identity is needed"
	ErrDay       idp.Refusal = "the days do not fit"
	ErrTooLong   idp.Refusal = "temporary access is given for fewer days"
	ErrMany      idp.Refusal = "that is more than one change, one person or one organisation may have"

	// Of the person that it concerns.
	ErrNoPerson     idp.Refusal = "there is no such person"
	ErrRestricted   idp.Refusal = "the profile is restricted: the identity must be verified first"
	ErrClosed       idp.Refusal = "a closed profile is given nothing"
	ErrUnverified   idp.Refusal = "an unverified profile is not given that"
	ErrProfileState idp.Refusal = "the profile is not in a state from which that is done"
	ErrMerged       idp.Refusal = "the profile was a duplicate and is merged into another"
	ErrRobot        idp.Refusal = "that is not done with the profile of a robot"
	ErrHRLink       idp.Refusal = "the registry keeps no links to systems of human resources"

	// Of what belongs to them.
	ErrNoPosition      idp.Refusal = "there is no such position, or it has ended"
	ErrSamePosition    idp.Refusal = "the person holds that position in these days"
	ErrNoCard          idp.Refusal = "there is no such card"
	ErrCardState       idp.Refusal = "the card is not in a state in which that is done"
	ErrNoAuthenticator idp.Refusal = "there is no such authenticator"
	ErrNoSession       idp.Refusal = "there is no such session, or it is over"
	ErrSeries          idp.Refusal = "cards of that series are blocked"
	ErrCertificate     idp.Refusal = "the certificate of the card has ended, or lasts too long"

	ErrNotIssuing idp.Refusal = "this service issues no certificates of cards"
	ErrCSR        idp.Refusal = "the request for a certificate is none that the card's key has signed"
	ErrCardKey    idp.Refusal = "the card's key is none that cards may have"
	ErrUntrusted  idp.Refusal = "the certificate is not one by which a card could sign in here"
	ErrWhose      idp.Refusal = "the certificate does not name the person"

	// Of organisations, applications and documents.
	ErrNoOrganisation     idp.Refusal = "there is no such organisation"
	ErrOrganisationClosed idp.Refusal = "the organisation is closed, or will be"
	ErrCircle             idp.Refusal = "an organisation would stand above itself"
	ErrBelow              idp.Refusal = "there are organisations below it that are open"
	ErrNoClient           idp.Refusal = "there is no such application"
	ErrOwnClient          idp.Refusal = "that application is a part of the service"
	ErrDocument           idp.Refusal = "the document does not fit the registry"

	// Of a request that waits for a second person.
	ErrNoRequest   idp.Refusal = "there is no such request"
	ErrDecided     idp.Refusal = "the request was decided on, or is too old"
	ErrSamePerson  idp.Refusal = "who asked for a change does not approve it"
	ErrAskerNoMore idp.Refusal = "who asked for the change may not make it any more"
)

// Refused is a refusal that says more: which fields, or what is to be confirmed.
// errors.Is finds its Refusal.
type Refused struct {
	Refusal  idp.Refusal
	Fields   []Field
	Warnings []Warning
}

// Field is one thing of a change that is not as it should be.
type Field struct {
	Name    string `json:"name"`    // as its JSON has it: uid, positions.0.role_code
	Problem string `json:"problem"` // one of the problems below; of one person of many, the text of their refusal
}

// What is wrong with a field. Faces have words for each.
const (
	Missing = "missing"
	Form    = "form"    // it has not the form of such a thing
	TooLong = "long"    // longer than it may be
	Unseen  = "unseen"  // it has characters that are not seen
	Range   = "range"   // more or less than it may be
	Unknown = "unknown" // it is none of the words that there are, or there is no such thing
	Twice   = "twice"   // it is given twice
	Taken   = "taken"   // it is somebody else's, or was
	Order   = "order"   // it ends before it begins, or is over
)

// Error returns the reason, and the names of the fields without what stands in
// them.
func (r *Refused) Error() string {
	var fields []string
	for _, f := range r.Fields {
		fields = append(fields, f.Name+" "+f.Problem)
	}
	if len(fields) == 0 {
		return r.Refusal.Error()
	}
	return r.Refusal.Error() + ": " + strings.Join(fields, ", ")
}

// Unwrap makes a Refused its Refusal.
func (r *Refused) Unwrap() error { return r.Refusal }

// refuse names one field with a refusal.
func refuse(refusal idp.Refusal, field, problem string) error {
	return &Refused{Refusal: refusal, Fields: []Field{{field, problem}}}
}

// refusalOf returns the refusal that an error is.
func refusalOf(err error) idp.Refusal {
	if r, ok := errors.AsType[*Refused](err); ok {
		return r.Refusal
	}
	r, _ := errors.AsType[idp.Refusal](err)
	return r
}

// Warning is what somebody should know before, or after, a change.
type Warning struct {
	Code string   `json:"code"`
	UID  string   `json:"uid,omitempty"` // whom it is about
	Args []string `json:"args,omitempty"`

	// Confirm says that the change is made only when it is asked for again with
	// Confirmed.
	Confirm bool `json:"confirm,omitempty"`
}

// The codes of warnings.
const (
	WarnAlike       = "alike"        // somebody like that is in the registry; Args: their name
	WarnSameNumber  = "same_number"  // somebody with that National Insurance number is in the registry; Args: their name
	WarnUnverified  = "unverified"   // the profile is unverified, and reaches few applications
	WarnNoContact   = "no_contact"   // no e-mail and no mobile
	WarnLast        = "last"         // it is their last position
	WarnLeftAlone   = "left_alone"   // the actor's own positions stay as they are
	WarnSeriesEnds  = "series_ends"  // cards of the series are blocked from a day on; Args: the day
	WarnNothing     = "nothing"      // everything is so already
	WarnCodesEnd    = "codes_end"    // the duplicate's password and codes cannot be taken over
	WarnSelfClaimed = "self_claimed" // they bound that without anybody's help; Args: its name
	WarnBelowLevel3 = "below_level3" // their identity was not proved well enough for most applications
)
