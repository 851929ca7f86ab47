package s3

import (
	"encoding/base64"
	"encoding/xml"
	"strings"

	"github.com/mayfly-secrets/mayfly/localstack/stack"
)

type prefixXML struct{ Prefix string }

type contentXML struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm string
	ChecksumType      string
	Size              int
	StorageClass      string
	Owner             *owner `xml:",omitempty"`
}

// group gives the common prefix that a key falls under, if any.
func group(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" {
		return "", false
	}
	if i := strings.Index(key[len(prefix):], delimiter); i >= 0 {
		return key[:len(prefix)+i+len(delimiter)], true
	}
	return "", false
}

// after says whether a key comes after a marker in a listing; a marker that is a common prefix covers its whole group.
func after(key, marker, delimiter string) bool {
	if marker == "" {
		return true
	}
	if delimiter != "" && strings.HasSuffix(marker, delimiter) && strings.HasPrefix(key, marker) {
		return false
	}
	return key > marker
}

// objectListing is the answer of ListObjectsV2 while it is being filled.
type objectListing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Xmlns                 string   `xml:"xmlns,attr"`
	Name, Prefix          string
	Delimiter             string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	KeyCount, MaxKeys     int
	IsTruncated           bool
	Contents              []contentXML
	CommonPrefixes        []prefixXML
}

// listObjectsV2: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func (s *Service) listObjectsV2(r *request) (stack.Reply, error) {
	if r.query.Get("list-type") != "2" {
		return stack.Reply{}, invalid("Invalid List Type specified in Request")
	}
	limit, err := r.limit("max-keys")
	if err != nil {
		return stack.Reply{}, err
	}
	start, delimiter, token := r.query.Get("start-after"), r.query.Get("delimiter"), r.query.Get("continuation-token")
	begun := func(key string) bool { return key > start }
	if token != "" {
		raw, err := base64.URLEncoding.DecodeString(token)
		if err != nil {
			return stack.Reply{}, invalid("The continuation token provided is incorrect")
		}
		// start-after is a plain key; only a continuation may stand for a whole group.
		begun = func(key string) bool { return after(key, string(raw), delimiter) }
	}
	out := &objectListing{
		Xmlns: namespace, Name: r.bucket, Prefix: r.encode(r.query.Get("prefix")), Delimiter: r.encode(delimiter), MaxKeys: limit,
		StartAfter: r.encode(start), ContinuationToken: token, EncodingType: r.query.Get("encoding-type"),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(r.bucket)
	if err != nil {
		return stack.Reply{}, err
	}
	out.fill(b, r, begun)
	return xmlReply(out)
}

// fill lists the live keys for which begun holds, until the listing is full.
func (l *objectListing) fill(b *bucket, r *request, begun func(key string) bool) {
	prefix, delimiter := r.query.Get("prefix"), r.query.Get("delimiter")
	last, seen := "", ""
	for _, key := range b.names() {
		v := b.live(key)
		if v == nil || !strings.HasPrefix(key, prefix) || !begun(key) {
			continue
		}
		common, grouped := group(key, prefix, delimiter)
		if grouped && common == seen {
			continue
		}
		if l.KeyCount == l.MaxKeys {
			if l.MaxKeys > 0 {
				l.IsTruncated, l.NextContinuationToken = true, base64.URLEncoding.EncodeToString([]byte(last))
			}
			return
		}
		l.KeyCount++
		if grouped {
			l.CommonPrefixes = append(l.CommonPrefixes, prefixXML{r.encode(common)})
			seen, last = common, common
			continue
		}
		c := contentXML{Key: r.encode(key), LastModified: v.modified.Format(iso), ETag: v.etag, Size: len(v.body), StorageClass: "STANDARD", ChecksumAlgorithm: strings.ToUpper(v.checksum.algorithm), ChecksumType: "FULL_OBJECT"}
		if r.query.Get("fetch-owner") == "true" {
			c.Owner = theOwner()
		}
		l.Contents = append(l.Contents, c)
		last = key
	}
}

type versionXML struct {
	XMLName      xml.Name // Version or DeleteMarker
	Key          string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
	LastModified string
	ETag         string `xml:",omitempty"`
	Size         *int   `xml:",omitempty"`
	StorageClass string `xml:",omitempty"`
	Owner        *owner
}

// listing is the answer of ListObjectVersions while it is being filled.
type listing struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	Xmlns               string   `xml:"xmlns,attr"`
	Name, Prefix        string
	KeyMarker           string
	VersionIDMarker     string `xml:"VersionIdMarker"`
	NextKeyMarker       string `xml:",omitempty"`
	NextVersionIDMarker string `xml:"NextVersionIdMarker,omitempty"`
	Delimiter           string `xml:",omitempty"`
	EncodingType        string `xml:",omitempty"`
	MaxKeys             int
	IsTruncated         bool
	Versions            []versionXML
	CommonPrefixes      []prefixXML
}

// full notes that the listing goes on after what was listed last, once it has all it may have.
func (l *listing) full(key, id string) bool {
	if len(l.Versions)+len(l.CommonPrefixes) < l.MaxKeys {
		return false
	}
	if l.MaxKeys > 0 {
		l.IsTruncated, l.NextKeyMarker, l.NextVersionIDMarker = true, key, id
	}
	return true
}

// listObjectVersions lists every version of every key, the newest of a key first.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
func (s *Service) listObjectVersions(r *request) (stack.Reply, error) {
	limit, err := r.limit("max-keys")
	if err != nil {
		return stack.Reply{}, err
	}
	prefix, delimiter := r.query.Get("prefix"), r.query.Get("delimiter")
	marker, idMarker := r.query.Get("key-marker"), r.query.Get("version-id-marker")
	if idMarker != "" && marker == "" {
		return stack.Reply{}, invalid("A version-id marker cannot be specified without a key marker.")
	}
	out := &listing{
		Xmlns: namespace, Name: r.bucket, Prefix: r.encode(prefix), Delimiter: r.encode(delimiter), MaxKeys: limit,
		KeyMarker: r.encode(marker), VersionIDMarker: idMarker, EncodingType: r.query.Get("encoding-type"),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(r.bucket)
	if err != nil {
		return stack.Reply{}, err
	}
	s.fill(out, b, r, prefix, delimiter, marker, idMarker)
	return xmlReply(out)
}

func (s *Service) fill(out *listing, b *bucket, r *request, prefix, delimiter, marker, idMarker string) {
	seen, lastKey, lastID := "", "", ""
	for _, key := range b.names() {
		resumes := idMarker != "" && key == marker
		if !strings.HasPrefix(key, prefix) || !resumes && !after(key, marker, delimiter) {
			continue
		}
		if common, grouped := group(key, prefix, delimiter); grouped {
			if common == seen {
				continue
			}
			if out.full(r.encode(lastKey), lastID) {
				return
			}
			out.CommonPrefixes = append(out.CommonPrefixes, prefixXML{r.encode(common)})
			seen, lastKey, lastID = common, common, ""
			continue
		}
		versions := b.keys[key]
		for i := len(versions) - 1; i >= 0; i-- {
			v := versions[i]
			if resumes {
				resumes = v.id != idMarker
				continue
			}
			if out.full(r.encode(lastKey), lastID) {
				return
			}
			out.Versions = append(out.Versions, v.listed(r, i == len(versions)-1))
			lastKey, lastID = key, v.id
		}
	}
}

func (v *version) listed(r *request, latest bool) versionXML {
	x := versionXML{XMLName: xml.Name{Local: "Version"}, Key: r.encode(v.key), VersionID: v.id, IsLatest: latest, LastModified: v.modified.Format(iso), Owner: theOwner()}
	if v.marker {
		x.XMLName.Local = "DeleteMarker"
		return x
	}
	size := len(v.body)
	x.ETag, x.Size, x.StorageClass = v.etag, &size, "STANDARD"
	return x
}
