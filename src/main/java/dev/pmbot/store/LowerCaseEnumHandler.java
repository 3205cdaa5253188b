package dev.pmbot.store;

import java.sql.CallableStatement;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Locale;
import org.apache.ibatis.type.BaseTypeHandler;
import org.apache.ibatis.type.JdbcType;
import org.jspecify.annotations.Nullable;

/** Keeps an enum as the specification writes it: its name in lower case. */
public final class LowerCaseEnumHandler<E extends Enum<E>> extends BaseTypeHandler<E> {
  private final Class<E> type;

  /** For one enum. */
  public LowerCaseEnumHandler(Class<E> type) {
    this.type = type;
  }

  @Override
  public void setNonNullParameter(
      PreparedStatement statement, int index, E value, @Nullable JdbcType jdbcType)
      throws SQLException {
    statement.setString(index, value.name().toLowerCase(Locale.ROOT));
  }

  @Override
  public @Nullable E getNullableResult(ResultSet result, String column) throws SQLException {
    return parse(result.getString(column));
  }

  @Override
  public @Nullable E getNullableResult(ResultSet result, int column) throws SQLException {
    return parse(result.getString(column));
  }

  @Override
  public @Nullable E getNullableResult(CallableStatement statement, int column)
      throws SQLException {
    return parse(statement.getString(column));
  }

  private @Nullable E parse(@Nullable String text) {
    return text == null ? null : Enum.valueOf(type, text.toUpperCase(Locale.ROOT));
  }
}
