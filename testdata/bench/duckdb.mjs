// Runs SQL statements one after the other on a database file: node duckdb.mjs DATABASE THREADS STATEMENT...
import { DuckDBInstance } from "@duckdb/node-api";

const [database, threads, ...statements] = process.argv.slice(2);
const instance = await DuckDBInstance.create(database, { threads });
const connection = await instance.connect();
for (const sql of statements) await connection.run(sql);
connection.closeSync();
instance.closeSync(); // writes out what is not yet in the file
