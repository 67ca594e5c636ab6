// What the old server is asked about its functions, operators, relations, defaults and types.
//
// Families: writing to a table reaches its partitions and children, and by cascading foreign keys
// other tables; whatever hides there (triggers, rules, checks) hides behind the table's name.
#include "protocols/postgres/sql_catalog_learn.h"

namespace crossfade::postgres {

const char* const kSqlCatalogQuery = R"sql(
SET search_path = '';
WITH RECURSIVE
schemas AS (
  SELECT oid, nspname, CASE WHEN nspname IN ('pg_catalog', 'information_schema', 'pg_toast')
                            THEN 's' ELSE 'u' END AS author
  FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'),
functions AS (
  SELECT p.oid, n.nspname, p.proname, p.prokind, p.proargtypes, p.pronargs, p.pronargdefaults,
         greatest(p.provolatile, t.provolatile, f.provolatile, m.provolatile) AS volatility,
         CASE WHEN n.author = 'u' AND l.lanname IN ('c', 'internal') AND EXISTS (
                SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                AND d.objid = p.oid AND d.deptype = 'e') THEN 'e' ELSE n.author END AS author
  FROM pg_proc p JOIN schemas n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
  LEFT JOIN pg_proc t ON t.oid = a.aggtransfn
  LEFT JOIN pg_proc f ON f.oid = a.aggfinalfn
  LEFT JOIN pg_proc m ON m.oid = a.aggmtransfn),
operators AS (
  SELECT DISTINCT n.nspname, o.oprname, p.volatility, n.author
  FROM pg_operator o JOIN schemas n ON n.oid = o.oprnamespace
  JOIN functions p ON p.oid = o.oprcode),
relations AS (
  SELECT c.oid, n.nspname, n.author, c.relname, c.relkind, c.relrowsecurity
  FROM pg_class c JOIN schemas n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')),
cascades AS (
  SELECT confrelid AS parent, conrelid AS child FROM pg_constraint
  WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))),
family(root, member) AS (
  SELECT oid, oid FROM relations WHERE author = 'u' AND relkind IN ('r', 'p', 'f')
  UNION
  SELECT f.root, e.child FROM family f JOIN (
    SELECT inhparent AS parent, inhrelid AS child FROM pg_inherits
    UNION ALL SELECT parent, child FROM cascades) e ON e.parent = f.member),
hidden AS (
  SELECT f.root AS oid, bool_or(c.relkind = 'f') AS is_foreign,
         max(CASE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = f.member
                               AND NOT t.tgisinternal)
                    OR EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = f.member
                               AND w.ev_type <> '1')
                    OR EXISTS (SELECT FROM pg_constraint k JOIN pg_depend d ON d.objid = k.oid
                               JOIN functions p ON p.oid = d.refobjid
                               WHERE k.conrelid = f.member AND k.contype = 'c'
                               AND d.classid = 'pg_constraint'::regclass
                               AND d.refclassid = 'pg_proc'::regclass AND p.volatility = 'v')
                    OR c.relkind = 'f' THEN 'x'
                  WHEN EXISTS (SELECT FROM cascades k WHERE k.parent = f.member) THEN 'c'
                  ELSE 'a' END) AS mark
  FROM family f JOIN pg_class c ON c.oid = f.member GROUP BY f.root),
branched AS (  -- whose rows have two names
  SELECT inhparent AS oid FROM pg_inherits UNION SELECT inhrelid FROM pg_inherits),
policies AS (
  SELECT p.polrelid AS oid, 'SELECT ' || string_agg(concat_ws(', ',
           '(' || pg_get_expr(p.polqual, p.polrelid) || ')',
           '(' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'), ', ') AS detail
  FROM pg_policy p JOIN relations r ON r.oid = p.polrelid WHERE r.relrowsecurity
  GROUP BY p.polrelid),
defaults AS (
  SELECT r.oid, r.nspname, r.relname, a.attname, a.attidentity,
         coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) AS expression
  FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE r.author = 'u' AND a.attnum > 0 AND NOT a.attisdropped
  AND to_jsonb(a) ->> 'attgenerated' IS DISTINCT FROM 's'
  AND (d.oid IS NULL OR to_jsonb(a) ->> 'attgenerated' IS DISTINCT FROM 'v')),
parts AS (  -- what a value of a type is made of
  SELECT oid AS whole, typbasetype AS part FROM pg_type WHERE typtype = 'd'
  UNION ALL SELECT oid, typelem FROM pg_type WHERE typelem <> 0
  UNION ALL SELECT rngtypid, rngsubtype FROM pg_range
  UNION ALL SELECT (to_jsonb(r) ->> 'rngmultitypid')::oid, rngsubtype FROM pg_range r
  UNION ALL SELECT t.oid, a.atttypid FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid
  WHERE t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped),
checked AS (
  SELECT t.oid, '' AS detail
  FROM pg_type t LEFT JOIN pg_cast c ON c.casttarget = t.oid
  JOIN functions f ON f.oid IN (c.castfunc, t.typinput::oid)
  WHERE f.volatility = 'v' AND f.author <> 's'
  UNION
  SELECT k.contypid, 'SELECT ' || pg_get_expr(k.conbin, 0) FROM pg_constraint k
  WHERE k.contype = 'c' AND k.contypid <> 0),
types(oid, detail) AS (
  SELECT oid, detail FROM checked
  UNION
  SELECT p.whole, t.detail FROM types t JOIN parts p ON p.part = t.oid
  JOIN pg_type w ON w.oid = p.whole JOIN schemas n ON n.oid = w.typnamespace
  WHERE n.author = 'u'),
bodies AS (
  SELECT n.nspname, p.proname, CASE WHEN p.prosrc = '' AND l.lanname = 'sql' AND p.prokind <> 'a'
                                    THEN pg_get_functiondef(p.oid) ELSE p.prosrc END AS code
  FROM pg_proc p JOIN schemas n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE n.author = 'u' AND l.lanname NOT IN ('c', 'internal')
  AND (p.prosrc = '' OR p.prosrc ~* 'set')),
setters AS (
  SELECT nspname, proname, code ~* $re$\msetseed\s*\($re$
         OR code ~* ($re$\mset_config\s*\(\s*(?!E?'+[^']+'+\s*(::\s*\w+\s*)?,)$re$
                     || $re$(?![^;]*,\s*true\s*\))$re$)
         OR code ~* $re$'\s*set\s+(session\s+)?(%|'+\s*\|\|)$re$ AS is_untold
  FROM bodies WHERE code ~* $re$\msetseed\s*\($re$
  OR code ~* $re$\mset_config\s*\((?![^;]*,\s*true\s*\))$re$
  OR code ~* $re$\mset\s+(session\s+)?(%|'|"?\w+"?\s*\.\s*"?\w+"?\s*(=|to\M))$re$),
mentioned(name) AS (
  SELECT m[2] FROM bodies, LATERAL regexp_matches(
    code, $re$\m(set_config|current_setting)\s*\(\s*E?'+([\w.$]{1,190})'$re$, 'gi') m
  UNION
  SELECT regexp_replace(m[2], '["[:space:]]', '', 'g') FROM bodies, LATERAL regexp_matches(
    code, $re$\mset\s+(local\s+|session\s+)?("?\w+"?\s*\.\s*["\w.$]{1,190})\s*(=|to\M)$re$,
    'gi') m),
given(name) AS (
  SELECT split_part(unnest(s.setconfig), '=', 1) FROM pg_db_role_setting s
  WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))),
answer(rank, oid, what, schema, name, mark, detail) AS (
  SELECT DISTINCT 1, 0::oid, 'f', nspname::text, proname::text, volatility::text || author, ''
  FROM functions WHERE prokind <> 'p'
  UNION ALL
  SELECT DISTINCT 2, 0::oid, 'w', nspname::text, proname::text, '', ''
  FROM functions WHERE prokind IN ('a', 'w') AND author <> 's'
  UNION ALL
  SELECT 2, 0, 'o', nspname::text, oprname::text, volatility::text || author, '' FROM operators
  UNION ALL
  SELECT DISTINCT 3, 0::oid, 't', '', t.typname::text, '', d.detail
  FROM types d JOIN pg_type t ON t.oid = d.oid
  UNION ALL
  SELECT DISTINCT 4, 0::oid, 'x', '', t.typname::text, '', ''
  FROM pg_cast c JOIN functions f ON f.oid = c.castfunc JOIN pg_type t ON t.oid = c.casttarget
  WHERE f.author = 'u' AND f.volatility <> 'i'
  UNION ALL
  SELECT DISTINCT 4, 0::oid, 'a', '', f.proname::text, '', ''
  FROM functions f JOIN pg_type t ON t.oid = f.proargtypes[0]
  WHERE f.prokind = 'f' AND f.volatility = 'v' AND f.author <> 's' AND f.pronargs > 0
  AND f.pronargs - f.pronargdefaults <= 1 AND t.typtype IN ('c', 'p')
  UNION ALL
  SELECT 4, c.oid, 'c', '', '', '', '' FROM pg_cast c JOIN functions f ON f.oid = c.castfunc
  WHERE c.castcontext = 'i' AND f.volatility = 'v' AND f.author <> 's'
  UNION ALL
  SELECT 5, r.oid, 'r', r.nspname::text, r.relname::text,
         CASE WHEN r.author = 's' THEN 's' WHEN h.is_foreign THEN 'f'
              WHEN b.oid IS NOT NULL THEN 'p' ELSE r.relkind::text END
         || CASE WHEN r.author = 's' OR r.relkind IN ('v', 'm') THEN 'x'
                 ELSE coalesce(nullif(h.mark, 'a'), 'n') END,
         CASE WHEN r.author = 's' THEN '' WHEN r.relkind = 'v' THEN pg_get_viewdef(r.oid)
              ELSE coalesce(p.detail, '') END
  FROM relations r LEFT JOIN hidden h ON h.oid = r.oid LEFT JOIN policies p ON p.oid = r.oid
  LEFT JOIN branched b ON b.oid = r.oid
  UNION ALL
  SELECT 6, d.oid, 'd', d.nspname::text, d.relname::text, d.attname::text,
         CASE WHEN d.attidentity <> '' THEN '' ELSE 'SELECT ' || d.expression END
  FROM defaults d WHERE d.attidentity <> '' OR d.expression IS NOT NULL
  UNION ALL
  SELECT DISTINCT 7, 0::oid, 's', '', lower(name), '', ''
  FROM (SELECT name FROM mentioned UNION SELECT name FROM given) names
  WHERE name ~ '^[^.]+([.][^.]+)+$'
  UNION ALL
  SELECT DISTINCT 2, 0::oid, 'u', nspname::text, proname::text,
         CASE WHEN is_untold THEN 'x' ELSE 'n' END, '' FROM setters
  UNION ALL
  SELECT DISTINCT 8, 0::oid, 'g', '', '', '', '' FROM given
  UNION ALL
  SELECT 9, r.oid, 'k', r.nspname::text, r.relname::text, a.attname::text, a.atttypid::text
  FROM relations r JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype = 'p'
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = ANY (k.conkey)
  WHERE r.author = 'u')
SELECT what, schema, name, mark, coalesce(detail, '') FROM answer
ORDER BY rank, oid, schema COLLATE "C", name COLLATE "C", mark COLLATE "C", detail COLLATE "C"
)sql";

}  // namespace crossfade::postgres
