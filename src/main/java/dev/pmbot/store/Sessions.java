package dev.pmbot.store;

import java.sql.Connection;
import java.util.List;
import org.apache.ibatis.datasource.unpooled.UnpooledDataSource;
import org.apache.ibatis.mapping.Environment;
import org.apache.ibatis.session.Configuration;
import org.apache.ibatis.session.ExecutorType;
import org.apache.ibatis.session.LocalCacheScope;
import org.apache.ibatis.session.SqlSession;
import org.apache.ibatis.session.SqlSessionFactory;
import org.apache.ibatis.session.SqlSessionFactoryBuilder;
import org.apache.ibatis.transaction.jdbc.JdbcTransactionFactory;
import org.apache.ibatis.type.ByteArrayTypeHandler;
import org.apache.ibatis.type.JdbcType;

/** Makes MyBatis sessions over connections whose transactions somebody else manages. */
final class Sessions {
  private final SqlSessionFactory factory;

  Sessions(List<Class<?>> mappers) {
    // The environment's data source is never asked: every session is opened over a given
    // connection.
    Configuration configuration =
        new RecordConfiguration(
            new Environment("given", new JdbcTransactionFactory(), new UnpooledDataSource()));
    configuration.setDefaultExecutorType(ExecutorType.REUSE);
    configuration.setLocalCacheScope(LocalCacheScope.STATEMENT);
    configuration.setCacheEnabled(false);
    configuration.setDefaultEnumTypeHandler(LowerCaseEnumHandler.class);
    // SQLite's driver has bytes, but no Blob objects.
    configuration
        .getTypeHandlerRegistry()
        .register(byte[].class, JdbcType.BLOB, new ByteArrayTypeHandler());
    mappers.forEach(configuration::addMapper);
    factory = new SqlSessionFactoryBuilder().build(configuration);
  }

  SqlSession over(Connection connection) {
    return factory.openSession(ExecutorType.REUSE, connection);
  }
}
