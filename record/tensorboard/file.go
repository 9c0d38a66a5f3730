package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of TFRecord: crc32c, rotated and shifted, so that a
// checksum of data that holds checksums is no accident.
func maskedCRC(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// writeRecord writes one record: its length in 8 bytes, their checksum in 4, the
// data, its checksum in 4; all little-endian.
func writeRecord(w io.Writer, data []byte) error {
	frame := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	frame = binary.LittleEndian.AppendUint32(frame, maskedCRC(frame))
	frame = append(frame, data...)
	frame = binary.LittleEndian.AppendUint32(frame, maskedCRC(data))
	_, err := w.Write(frame)
	return err
}
