#include "controlplane/store/sqlite_state.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "controlplane/store/sqlite_schema.h"

namespace sallyport {
namespace {

using Table = Change::Table;
using VisitRow =
    std::function<bool(const std::string& key, uint64_t revision, const std::string& value)>;

// Visits the rows; `visit` says whether the value is usable.
absl::Status ReadTable(const SqliteDatabase& database, Table table, const VisitRow& visit) {
  ASSIGN_OR_RETURN(
      SqliteStatement rows,
      SqliteStatement::Prepare(
          database, StrCat("SELECT key, revision, value, checksum FROM ", TableName(table))));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return absl::OkStatus();
    const std::string key = rows.Bytes(0);
    const auto revision = static_cast<uint64_t>(rows.Int(1));
    const std::string value = rows.Bytes(2);
    if (rows.Int(3) != RowChecksum(table, key, revision, value) || !visit(key, revision, value)) {
      return absl::DataLossError(
          StrCat("row ", Quote(key), " of ", TableName(table), " is not as written"));
    }
  }
}

absl::Status LoadRequests(const SqliteDatabase& database, State* state) {
  return ReadTable(database, Table::kRequests,
                   [state](const std::string& key, uint64_t, const std::string& value) {
                     const std::vector<std::string> words = absl::StrSplit(value, ' ');
                     RequestRecord record;
                     if (words.size() != 3 || !absl::SimpleAtoi(words[0], &record.number) ||
                         !absl::SimpleAtoi(words[1], &record.revision)) {
                       return false;
                     }
                     record.fingerprint = words[2];
                     state->SetRequest(key, std::move(record));
                     return true;
                   });
}

// Writes rows of one table.
class TableWriter {
 public:
  static absl::StatusOr<TableWriter> Make(const SqliteDatabase& database, Table table) {
    ASSIGN_OR_RETURN(SqliteStatement insert,
                     SqliteStatement::Prepare(database, StrCat("INSERT INTO ", TableName(table),
                                                               " VALUES (?, ?, ?, ?)")));
    return TableWriter(table, std::move(insert));
  }

  // After an error the rest is left out.
  void Add(const std::string& key, uint64_t revision, const std::string& value) {
    if (!status_.ok()) return;
    insert_.BindText(1, key);
    insert_.BindInt(2, static_cast<int64_t>(revision));
    insert_.BindBlob(3, value);
    insert_.BindInt(4, RowChecksum(table_, key, revision, value));
    status_ = insert_.Run();
  }
  const absl::Status& status() const { return status_; }

 private:
  TableWriter(Table table, SqliteStatement insert) : table_(table), insert_(std::move(insert)) {}

  Table table_;
  SqliteStatement insert_;
  absl::Status status_;
};

template <typename Record>
absl::Status WriteRecords(const SqliteDatabase& database, Table table,
                          const CowMap<Record>& records) {
  ASSIGN_OR_RETURN(TableWriter writer, TableWriter::Make(database, table));
  records.ForEach([&](const std::string& key, const Record& record) {
    writer.Add(key, record.revision, record.value.SerializeAsString());
  });
  return writer.status();
}

absl::Status WriteTables(const State& state, const SqliteDatabase& database) {
  RETURN_IF_ERROR(WriteRecords(database, Table::kClasses, state.classes));
  RETURN_IF_ERROR(WriteRecords(database, Table::kContainers, state.containers));
  RETURN_IF_ERROR(WriteRecords(database, Table::kHandlers, state.handlers));
  ASSIGN_OR_RETURN(TableWriter placements, TableWriter::Make(database, Table::kPlacements));
  state.placements.ForEach([&](const std::string& container_id, const std::string& host) {
    placements.Add(container_id, state.revision, PlacementRow(host, state.StayOf(container_id)));
  });
  RETURN_IF_ERROR(placements.status());
  ASSIGN_OR_RETURN(TableWriter secrets, TableWriter::Make(database, Table::kSecrets));
  state.secrets.ForEach([&](const std::string& name, const SecretRecord& record) {
    secrets.Add(name, record.revision, record.sealed);
  });
  return secrets.status();
}

}  // namespace

absl::StatusOr<State> LoadState(const SqliteDatabase& database) {
  State state;
  ASSIGN_OR_RETURN(const int64_t epoch, ReadMeta(database, "epoch"));
  ASSIGN_OR_RETURN(const int64_t revision, ReadMeta(database, "revision"));
  if (epoch == 0 || revision < 0) return absl::DataLossError("its epoch or revision is wrong");
  state.epoch = static_cast<uint64_t>(epoch);
  state.revision = static_cast<uint64_t>(revision);

  RETURN_IF_ERROR(
      ReadTable(database, Table::kClasses,
                [&state](const std::string& key, uint64_t row_revision, const std::string& value) {
                  v1::ContainerClass message;
                  if (!message.ParseFromString(value) || message.name() != key) return false;
                  state.SetClass(std::move(message), row_revision);
                  return true;
                }));
  RETURN_IF_ERROR(
      ReadTable(database, Table::kContainers,
                [&state](const std::string& key, uint64_t row_revision, const std::string& value) {
                  v1::ContainerPolicy message;
                  if (!message.ParseFromString(value) || message.container_id() != key)
                    return false;
                  state.SetContainer(std::move(message), row_revision);
                  return true;
                }));
  RETURN_IF_ERROR(
      ReadTable(database, Table::kHandlers,
                [&state](const std::string& key, uint64_t row_revision, const std::string& value) {
                  v1::Handler message;
                  if (!message.ParseFromString(value) || message.name() != key) return false;
                  state.SetHandler(std::move(message), row_revision);
                  return true;
                }));
  RETURN_IF_ERROR(ReadTable(database, Table::kPlacements,
                            [&state](const std::string& key, uint64_t, const std::string& value) {
                              const std::string host = value.substr(0, value.find(' '));
                              const Stay stay = value == host ? Stay::kLasting : Stay::kEphemeral;
                              state.Place(key, host, stay);
                              return value == PlacementRow(host, stay);
                            }));
  ASSIGN_OR_RETURN(const int64_t version, ReadMeta(database, "schema_version"));
  if (version >= 2) RETURN_IF_ERROR(LoadRequests(database, &state));
  if (version >= 3) {
    RETURN_IF_ERROR(ReadTable(
        database, Table::kSecrets,
        [&state](const std::string& key, uint64_t row_revision, const std::string& value) {
          state.SetSecret(key, value, row_revision);
          return true;
        }));
  }
  if (version >= 4) {
    RETURN_IF_ERROR(ReadTable(database, Table::kIdentityKeys,
                              [&state](const std::string& key, uint64_t, const std::string& value) {
                                state.identity_keys.Set(key, std::make_shared<std::string>(value));
                                return true;
                              }));
  }
  return state;
}

absl::Status WriteState(const State& state, SqliteDatabase* database) {
  RETURN_IF_ERROR(WriteSchema(database, state.epoch, state.revision));
  RETURN_IF_ERROR(database->Execute("BEGIN IMMEDIATE"));
  RETURN_IF_ERROR(WriteTables(state, *database));
  return database->Execute("COMMIT");
}

}  // namespace sallyport
